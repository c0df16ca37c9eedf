"""The API by resource. Each module defines its calls once and binds them twice: synchronous and asynchronous."""
