# METADATA
# scope: package
# title: Decision object
# description: Headers for the upstream and the client, and a denial with status, headers and body of its own.
package envoy.authz

import input.attributes.request.http as http_request

# METADATA
# title: Allow
# description: The decision as an object.
# entrypoint: true
default allow := {
	"allowed": false,
	"headers": {"x-ext-auth-allow": "no"},
	"body": "Unauthorized Request",
	"http_status": 301,
}

allow := {
	"allowed": true,
	"headers": {"x-ext-auth-allow": "yes"},
	"request_headers_to_remove": ["x-internal"],
	"response_headers_to_add": {"x-policy": "decision-object"},
	"query_parameters_to_remove": ["debug"],
} if {
	http_request.method == "GET"
	input.parsed_path[0] == "public"
}

allow := {
	"allowed": false,
	"body": json.marshal({"error": "read-only"}),
	"headers": {"content-type": "application/json"},
	"http_status": 405,
} if {
	http_request.method != "GET"
	input.parsed_path[0] == "public"
}
