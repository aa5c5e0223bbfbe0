"""What a sink's receiver has not confirmed yet, on disk: it outlives outages and our own death.

    <folder>/<sink>/lock                  held by the process that uses the spool
                    identity              made once with the folder
                    position              up to which number everything is settled
                    0000…0001.sqlite, …   segments: records by number, one CRC-32 each
                    dead_letters.jsonl    refused for ever, with the reason
                    damaged/              segments that held unreadable records

`docs/delivery.md` tells what is promised.
"""
