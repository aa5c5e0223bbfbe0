"""librdkafka, by confluent-kafka, as a client of the sink. Needs it: pip install
'eyrie[confluent]'."""
