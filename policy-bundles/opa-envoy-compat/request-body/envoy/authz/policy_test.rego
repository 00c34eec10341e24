package envoy.authz_test

request(sent, more) := object.union({"attributes": {"request": {"http": sent}}}, more)

posting(body, truncated) := request(
	{"method": "POST", "path": "/people", "headers": {"x-user": "Alice"}},
	{"parsed_body": body, "truncated_body": truncated},
)

reading(query) := request({"method": "GET"}, {"parsed_query": query})

cases := {
	"somebody else": {"asked": posting({"firstname": "Charlie"}, false), "allow": true},
	"oneself": {"asked": posting({"firstname": "ALICE"}, false), "allow": false},
	"no name": {"asked": posting({}, false), "allow": false},
	"no body": {"asked": posting(null, false), "allow": false},
	"half a body": {"asked": posting({"firstname": "Charlie"}, true), "allow": false},
	"a page": {"asked": reading({"page": ["7"]}), "allow": true},
	"no page": {"asked": reading({}), "allow": true},
	"a page far down": {"asked": reading({"page": ["7", "101"]}), "allow": false},
	"no number": {"asked": reading({"page": ["x"]}), "allow": false},
	"another method": {"asked": request({"method": "DELETE"}, {}), "allow": false},
}

test_allow[name] if {
	some name, case in cases
	allow := data.envoy.authz.allow with input as case.asked
	allow == case.allow
}
