package envoy.authz_test

request(method, path, headers) := {
	"attributes": {"request": {"http": {"method": method, "headers": headers}}},
	"parsed_path": path,
}

basic(name) := {"authorization": concat(" ", ["Basic", base64.encode(concat(":", [name, "password"]))])}

cases := {
	"anybody sees the health page": {"asked": request("GET", ["health"], {}), "allow": true},
	"nobody writes it": {"asked": request("POST", ["health"], basic("bob")), "allow": false},
	"a guest reads": {"asked": request("GET", ["people", "7"], basic("alice")), "allow": true},
	"a guest does not write": {"asked": request("POST", ["people"], basic("alice")), "allow": false},
	"an admin writes": {"asked": request("POST", ["people"], basic("bob")), "allow": true},
	"a stranger": {"asked": request("GET", ["people"], basic("eve")), "allow": false},
	"no credentials": {"asked": request("GET", ["people"], {}), "allow": false},
	"other credentials": {"asked": request("GET", ["people"], {"authorization": "Bearer x"}), "allow": false},
	"nothing at all": {"asked": {}, "allow": false},
}

test_allow[name] if {
	some name, case in cases
	allow := data.envoy.authz.allow with input as case.asked
	allow == case.allow
}
