"""Azure OpenAI (Microsoft Foundry): OpenAI's models as deployments of a resource of one's own."""
