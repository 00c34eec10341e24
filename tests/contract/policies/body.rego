package envoy.authz

import rego.v1

allow := {"allowed": false, "body": json.marshal([input.parsed_body, input.truncated_body])}
