"""Streams decoded and prepared in processes of their own, past the interpreter's lock.

    main process                               a worker process, several streams
    Stream ─► WorkerSource ◄─ record, socket ── Serving ◄─ Source (decodes)
                    │                              │ fit, lumas
                    └─► SharedPicture ─► a slot of anonymous shared memory ◄┘
    the last view of a slot is dropped ─► its number goes back

The engine, the streams' lives and all accounts stay in the main process. What a worker holds can be
made again: if it dies, its cameras reconnect and its files are decoded up to where they were.
"""
