package envoy.authz

import rego.v1

allow := {"allowed": true, "headers": {
	"x-body": json.marshal(input.parsed_body),
	"x-cut": json.marshal(input.truncated_body),
}}
