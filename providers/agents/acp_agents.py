"""Which ACP agents are known by name, how each is started, and what is to be set so that it asks before it acts.

Facts of the published packages; what speaks the protocol is in `acp.py`. A user's own agents come from the configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PROXIES = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True, slots=True)
class AcpAgent:
    """How an agent is started. `variables` are the names of those variables of the user's environment that it gets beside
    the launcher's own list, `settings` such with a fixed value. `modes` are session modes by preference: the first that
    the agent offers is set; without any its own default stays. `meta` goes with `session/new`. `login` is the mend when it
    wants a login, `package` where it can be had, `own_files` as of `AgentProvider`, `resumes` and `reports_cost` too.
    """

    name: str
    command: tuple[str, ...]
    variables: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    login: str = ""
    package: str = ""
    own_files: tuple[str, ...] = ()
    resumes: bool = False
    reports_cost: bool = False


BUILT_IN: Mapping[str, AcpAgent] = {
    agent.name: agent
    for agent in (
        AcpAgent(
            "claude",
            ("claude-agent-acp",),
            variables=(
                "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL",
                "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_EXECUTABLE",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "CLAUDE_CODE_MAX_RETRIES",
            ),
            modes=("default",),
            # A checkout's own settings may name hooks and addresses: only the user's are read.
            meta={"claudeCode": {"options": {"settingSources": ["user"]}}},
            login="log in with `claude /login`, or set ANTHROPIC_API_KEY",
            package="npm install -g @agentclientprotocol/claude-agent-acp",
        ),
        AcpAgent(
            "codex",
            ("codex-acp",),
            variables=(
                "OPENAI_API_KEY", "CODEX_API_KEY", "OPENAI_BASE_URL", "CODEX_HOME", "CODEX_PATH", "CODEX_CONFIG",
                "MODEL_PROVIDER", "DEFAULT_AUTH_REQUEST",
            ),
            settings={"NO_BROWSER": "1", "INITIAL_AGENT_MODE": "workspace-write"},
            modes=("workspace-write", "read-only"),
            login="log in with `codex login`, or set OPENAI_API_KEY",
            package="npm install -g @agentclientprotocol/codex-acp",
        ),
        AcpAgent(
            "gemini",
            ("gemini", "--acp", "--skip-trust"),
            variables=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GEMINI_CLI_HOME"),
            modes=("default",),
            login="log in with `gemini`, or set GEMINI_API_KEY",
            package="npm install -g @google/gemini-cli",
        ),
        AcpAgent(
            "opencode",
            ("opencode", "acp"),
            variables=(
                "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG_DIR", "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY",
            ),
            # It edits and runs without a word unless told to ask; a checkout's own settings are not read.
            settings={
                "OPENCODE_PERMISSION": '{"edit":"allow","bash":"ask","webfetch":"ask","external_directory":"ask"}',
                "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
                "OPENCODE_DISABLE_AUTOUPDATE": "1",
            },
            modes=("build",),
            login="log in with `opencode auth login`",
            package="npm install -g opencode-ai",
        ),
        AcpAgent(
            "qwen",
            ("qwen", "--acp"),
            variables=("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "DASHSCOPE_API_KEY"),
            modes=("default",),
            login="log in with `qwen`, or set OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL",
            package="npm install -g @qwen-code/qwen-code",
        ),
        AcpAgent(
            "copilot",
            ("copilot", "--acp"),
            variables=(
                "COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "COPILOT_OFFLINE", "COPILOT_PROVIDER_BASE_URL",
                "COPILOT_PROVIDER_API_KEY", "COPILOT_PROVIDER_TYPE", "COPILOT_MODEL",
            ),
            login="log in with `copilot login`",
            package="npm install -g @github/copilot",
        ),
    )
}  # fmt: skip


def environment_for(agent: AcpAgent, environment: Mapping[str, str]) -> dict[str, str]:
    """What an agent gets beside the launcher's own allow-list."""
    passed = {name: environment[name] for name in (*_PROXIES, *agent.variables) if environment.get(name)}
    return {**agent.settings, **passed}
