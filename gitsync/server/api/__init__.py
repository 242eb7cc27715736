"""The REST interface, one module per subject.

Belongs here: routes, the JSON that they answer, who may call them, and how errors look. Does not belong here:
what the answers mean. A route reads the store or asks the `Service`, and shows what it got.
"""
