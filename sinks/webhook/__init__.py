"""Webhooks: messages by HTTP POST. Needs httpx: pip install 'eyrie[webhook]'."""

from sinks.webhook.sink import BatchLimits, BodyFormat, WebhookSink

__all__ = ["BatchLimits", "BodyFormat", "WebhookSink"]
