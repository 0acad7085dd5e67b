"""Checks AWS Signature Version 4 of a request, by computing it again from the known secret.

Gives nothing when all is well, or the error name and the text that the service would send.
"""
import calendar
import hashlib
import hmac
import re
import time
from urllib.parse import quote, unquote

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, *"
    r"SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})$")
WINDOW_S = 300
MISMATCH = ("InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your "
            "AWS Secret Access Key and signing method. Consult the service documentation for details.")


def stamp(seconds):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def check(request, access_key, secret_key, token=None, clock_offset_s=0):
    """None, or (error name, message)."""
    header = request.headers.get("authorization")
    if header is None:
        return "MissingAuthenticationTokenException", "Request is missing Authentication Token"
    match = AUTHORIZATION.match(header)
    if not match:
        return "IncompleteSignatureException", "Authorization header is malformed: " + header
    key, date, region, service, signed, signature = match.groups()
    if key != access_key or request.headers.get("x-amz-security-token") != token:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    when = request.headers.get("x-amz-date", "")
    if not re.fullmatch(r"\d{8}T\d{6}Z", when) or when[:8] != date or service != "dynamodb":
        return "InvalidSignatureException", "Credential should be scoped to a valid date and service."
    wrong = clock_error(when, time.time() + clock_offset_s)
    if wrong:
        return "InvalidSignatureException", wrong
    if not {"host", "x-amz-date", "x-amz-target"} <= set(signed.split(";")):
        return "InvalidSignatureException", "'host', 'x-amz-date' and 'x-amz-target' must be signed."
    if not hmac.compare_digest(signature, sign(request, signed, secret_key, date, region, service)):
        return MISMATCH
    return None


def clock_error(when, now):
    sent = calendar.timegm(time.strptime(when, "%Y%m%dT%H%M%SZ"))
    if sent < now - WINDOW_S:
        return ("Signature expired: %s is now earlier than %s (%s - 5 min.)"
                % (when, stamp(now - WINDOW_S), stamp(now)))
    if sent > now + WINDOW_S:
        return ("Signature not yet current: %s is still later than %s (%s + 5 min.)"
                % (when, stamp(now + WINDOW_S), stamp(now)))
    return None


def canonical_request(request, signed):
    path, _, query = request.target.partition("?")
    pairs = sorted(tuple(quote(unquote(part), safe="-_.~") for part in (p.split("=", 1) + [""])[:2])
                   for p in query.split("&") if p)
    headers = "".join("%s:%s\n" % (name, " ".join(request.headers.get(name, "").split()))
                      for name in signed.split(";"))
    return "\n".join([request.method, quote(unquote(path), safe="/-_.~"),
                      "&".join("=".join(pair) for pair in pairs), headers, signed,
                      hashlib.sha256(request.body).hexdigest()])


def sign(request, signed, secret_key, date, region, service):
    scope = "/".join([date, region, service, "aws4_request"])
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope,
                      hashlib.sha256(canonical_request(request, signed).encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
