# METADATA
# scope: package
# title: Quick start
# description: |
#   Who may do what with /people, by the role of the user in Basic credentials; everybody may see
#   the health page.
package envoy.authz

import input.attributes.request.http as http_request

# METADATA
# title: Allow
# description: Whether the request goes through.
# entrypoint: true
default allow := false

allow if {
	input.parsed_path == ["health"]
	http_request.method == "GET"
}

allow if {
	some role in roles_for_user
	some permitted in role_permissions[role]
	permitted.method == http_request.method
	permitted.path == input.parsed_path[0]
}

user_name := name if {
	[scheme, encoded] := split(http_request.headers.authorization, " ")
	scheme == "Basic"
	[name, _] := split(base64.decode(encoded), ":")
}

roles_for_user := user_roles[user_name]

user_roles := {
	"alice": ["guest"],
	"bob": ["admin"],
}

role_permissions := {
	"guest": [{"method": "GET", "path": "people"}],
	"admin": [
		{"method": "GET", "path": "people"},
		{"method": "POST", "path": "people"},
	],
}
