"""The simulators of self-hosted servers, each under the name of its surface: `/vllm/v1/…`, `/llama_cpp/v1/…`."""

from msgspec.structs import replace

from providers.openai_compatible.simulator_llama_cpp import LlamaCpp
from providers.openai_compatible.simulator_ollama import Ollama
from providers.openai_compatible.simulator_server import Server
from providers.openai_compatible.simulator_sglang import SGLang
from providers.openai_compatible.simulator_vllm import VLLM
from providers.simulation import Reply, Request, World, json_reply

SERVERS: tuple[type[Server], ...] = (VLLM, SGLang, Ollama, LlamaCpp)


class SelfHosted:
    def __init__(self, world: World) -> None:
        self.servers = {server.surface: server(world) for server in SERVERS}

    async def handle(self, request: Request) -> Reply:
        name, _, path = request.path.removeprefix("/").partition("/")
        if name not in self.servers:
            return json_reply(404, {"error": f"there is no server of this name; there are: {', '.join(self.servers)}"})
        return await self.servers[name].handle(replace(request, path=f"/{path}", host=f"{request.host}/{name}"))


SIMULATOR = SelfHosted
