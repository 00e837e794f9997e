"""What answers look like: the schemas of the OpenAPI document. Nothing is checked against them when
a request is answered, which would cost more than making the answer; tests check every answer."""
