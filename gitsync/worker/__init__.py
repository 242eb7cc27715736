"""The compile process: whole commits are judged in a child with limits, so that no file can take the server down.

Here belong the child, its limits, and the frames between both. Not here: what a commit means (`bundle`).
"""
