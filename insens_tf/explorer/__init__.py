"""The explorer: any neuron of any image in the browser, live.

What a view shows is computed by plain functions (`view`, `exploration`, `shown`, `shown_later`),
which know nothing of HTTP; `lanes` decides what is computed when, `server` is the HTTP around both,
`running` starts and ends it, and `hosts` says who may be let in. The page is in `static`. Starlette
and uvicorn, the extra `explore`, are imported only where a server is started, TensorFlow not here.
"""
