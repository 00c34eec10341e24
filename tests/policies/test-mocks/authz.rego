# METADATA
# title: App
# description: Who may do what
package app.authz

import data.users

default allow := false

# METADATA
# title: Allow
# entrypoint: true
allow if {
	is_admin
	not locked
}

allow if {
	input.attributes.request.http.method == "GET"
	role == "viewer"
}

role := users[input.user].role

is_admin if role == "admin"

locked if {
	resp := http.send({"method": "GET", "url": sprintf("https://locks.example/%s", [input.user]), "timeout": "1s", "raise_error": false})
	resp.status_code == 200
	resp.body.locked
}

fresh if {
	time.now_ns() < 2000000000000000000
}

signed(token) if {
	io.jwt.verify_hs256(token, "secret")
}

claims := c if {
	[_, _, c] := io.jwt.decode_verify(input.token, {"secret": "secret"})
}

region := opa.runtime().env.REGION

level(n) := "high" if {
	n > 10
} else := "middle" if {
	n > 5
} else := "low"
