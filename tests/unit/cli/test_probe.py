async def test_probe(running):
    for line in ["get agents", "get agents -o wide", "get targets", "get commits", "get releases", "get sources", "get agents -o name", "describe agent edge-1", "describe agent edge-2", "describe commit da4b", "describe target agents --config", "explain agent gw-1", "sync", "history", "history agents", "describe agent nobody", "describe agent in,valid(", "describe target foo","get agents -l a===b"]:
        got = await running.gitsync(*line.split())
        print(f"\n$ {line} -> {got.code}\n{got.out}{got.err}")
