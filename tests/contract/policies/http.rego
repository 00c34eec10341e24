package envoy.authz

import rego.v1

# What every run has in common: neither the id nor the time, and no header that only a proxy adds.
known := {"method", "path", "host", "scheme", "protocol", "size", "body", "rawBody"}

seen := {"content-type", "cookie", "x-a", "x-b", "x-envoy-auth-partial-body", ":method", ":path", ":authority", ":scheme"}

http := {key: value | some key, value in input.attributes.request.http; key in known}

headers := {name: value | some name, value in input.attributes.request.http.headers; name in seen}

allow := {"allowed": false, "body": json.marshal({"http": http, "headers": headers})}
