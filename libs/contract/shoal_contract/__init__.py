"""What two services of Shoal agree on: ids, configuration, states, events, subjects.

Pure: no input or output, no clock, no chance. Everything here is a frozen pydantic
model, an enum or a table.
"""
