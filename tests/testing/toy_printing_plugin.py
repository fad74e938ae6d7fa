"""A plugin that greets whoever imports it."""

print("hello")
