"""`antiphon/models/list`: what runs can be started with."""

from server.features.run_start import root_path
from server.host import Host
from server.protocol import ModelItem, ModelsListParams, ModelsListResult

PARAMS = ModelsListParams


async def handle(host: Host, params: ModelsListParams) -> ModelsListResult:
    workspace = await host.workspaces.workspace(root_path(params.root))
    composition = await host.workspaces.composition()
    settings = host.workspaces.settings_of(composition, workspace.root)
    return ModelsListResult(
        models=[
            ModelItem(
                id=entry.id,
                window=entry.window,
                input_usd=entry.input_usd,
                output_usd=entry.output_usd,
                source=entry.source,
            )
            for entry in await composition.models(settings, host.secrets)
        ],
        default=settings.model,
    )
