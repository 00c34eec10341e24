package envoy.authz_test

request(method, path) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": path,
}

test_allowed if {
	allow := data.envoy.authz.allow with input as request("GET", ["public", "x"])
	allow.allowed
	allow.headers["x-ext-auth-allow"] == "yes"
}

test_read_only if {
	allow := data.envoy.authz.allow with input as request("PUT", ["public"])
	not allow.allowed
	allow.http_status == 405
	json.unmarshal(allow.body) == {"error": "read-only"}
}

test_default if {
	allow := data.envoy.authz.allow with input as request("GET", ["private"])
	not allow.allowed
	allow.http_status == 301
}
