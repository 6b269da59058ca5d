"""Headers that tell a browser what our pages may do, and that nobody else may use them."""

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' data: blob:; "
    "worker-src 'self' blob: data:; img-src 'self' data: blob:; object-src 'none'; frame-ancestors 'self'"
)
PLAIN_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HTTPS_PORT = 443
DAY_S = 86_400


def added(policy: str, tls: bool, port: int) -> list[tuple[bytes, bytes]]:
    """What every answer carries.

    A browser that is told "only by TLS" refuses every other port of that host without TLS, which may be
    another service. So it is told only at the port of https itself.
    """
    told = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "same-origin",  # with none at all, browsers hide where a form was sent from
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
    if tls and port == HTTPS_PORT:
        told["strict-transport-security"] = f"max-age={DAY_S}"
    return [(name.encode(), value.encode()) for name, value in told.items()]
