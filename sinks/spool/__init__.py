"""The spool: on disk, what a sink's receiver has not confirmed yet. It outlives outages and our own
death.

    <folder>/<sink>/lock                  held by the process that uses the spool
                    identity              made once with the folder: this is a spool
                    position              up to which number everything is settled
                    0000…0001-3f….sqlite  segments: records by number, one CRC-32 each; the name
                                          has the first number and the run that gave them
                    dead_letters.jsonl    refused for ever, with the reason
                    damaged/              segments that held unreadable records

`docs/delivery.md` tells what is promised.
"""
