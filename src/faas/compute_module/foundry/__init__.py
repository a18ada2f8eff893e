"""The compute module in Foundry: its environment, the client of Foundry's APIs, its run and its keep-alive."""
