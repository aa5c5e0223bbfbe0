"""Streams decoded, prepared and, on a CPU, detected in processes of their own, past the
interpreter's lock.

    main process                               a worker process, several streams
    Stream ─► WorkerSource ◄─ record, socket ── Serving ◄─ Source (decodes)
                    │                              │ fit, lumas
                    └─► LentPicture ──► a slot of anonymous shared memory ◄┘
    Detect ─► WorkerDetector ─ slot numbers ──► Detecting ─► Detector, of any worker
                    └◄─────────── boxes ───────────┘
    the last view of a slot is dropped ─► its number goes back

The streams' lives, all accounts, tracks and messages stay in the main process, and so does a
detector for when a worker is not there. What a worker holds can be made again: if it dies, its
cameras reconnect and its files are decoded up to where they were.
"""
