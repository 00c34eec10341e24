# METADATA
# scope: package
# title: Request body
# description: Rules on what a request says in its JSON body and in its query.
package envoy.authz

import input.attributes.request.http as http_request

# METADATA
# title: Allow
# description: Whether the request goes through.
# entrypoint: true
default allow := false

allow if {
	http_request.method == "GET"
	every page in object.get(input.parsed_query, "page", []) {
		to_number(page) <= 100
	}
}

# Nobody makes an entry for themselves.
allow if {
	http_request.method == "POST"
	glob.match("/people*", ["/"], http_request.path)
	input.truncated_body == false
	lower(input.parsed_body.firstname) != lower(http_request.headers["x-user"])
}
