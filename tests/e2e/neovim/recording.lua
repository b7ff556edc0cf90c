-- Keeps what the server told this editor, and tells the test which question stands on the screen.
-- Nothing is answered or changed here.
vim.o.lines, vim.o.columns = 40, 120
vim.o.swapfile = false

local recorded = { progress = {}, edits = {}, refreshes = 0 }
_G.recorded = recorded

vim.api.nvim_create_autocmd("LspProgress", {
  callback = function(event)
    local params = event.data.params
    table.insert(recorded.progress, {
      token = params.token,
      kind = params.value.kind,
      title = params.value.title or "",
      message = params.value.message or "",
      percentage = params.value.percentage,
    })
  end,
})

local apply_edit = vim.lsp.handlers["workspace/applyEdit"]
vim.lsp.handlers["workspace/applyEdit"] = function(err, params, context)
  local kept = vim.deepcopy(params)
  local answer = apply_edit(err, params, context)
  table.insert(recorded.edits, { params = kept, applied = answer.applied })
  return answer
end

local select = vim.ui.select
vim.ui.select = function(items, options, on_choice)
  local titles = vim.tbl_map(options.format_item or tostring, items)
  if vim.g.test_channel then
    vim.rpcnotify(vim.g.test_channel, "select", titles)
  end
  return select(items, options, on_choice)
end
