"""A model on the network: a page, a socket for live frames, and an upload, on Ray Serve.

    browser --JPEG frames, text--> Ingress (FastAPI: page, /ws, /predict, /healthz, /metrics)
                                      |  a `Session` per socket: Stream, newest frame only, answers
                                      v
                                   Networks (frames and windows of all sockets, in batches; versions of the model)

`Networks` remembers nothing of a stream, so any replica may take any frame; all state of a stream lives with its
socket. `web`, `session` and `networks` know nothing of Ray; `deployments` puts them on Ray Serve, `server` runs it.
"""
