package app.authz_test

import data.app.authz

mock_locked(_) := {"status_code": 200, "body": {"locked": true}}

mock_open(req) := {"status_code": 200, "body": {"locked": false}} if req.url == "https://locks.example/alice"

test_admin_open if {
	authz.allow with input as {"user": "alice"} with http.send as mock_open
}

test_admin_locked if {
	not authz.allow with input as {"user": "alice"} with http.send as mock_locked
}

test_value_mock if {
	authz.allow with input as {"user": "alice"} with http.send as {"status_code": 404}
}

test_viewer if {
	authz.allow with input.attributes.request.http.method as "GET" with input.user as "bob"
}

test_data_mock if {
	authz.allow with input as {"user": "zoe"} with data.users as {"zoe": {"role": "admin"}} with http.send as {"status_code": 404}
}

test_data_mock_deep if {
	authz.role == "x" with input as {"user": "zoe"} with data.users.zoe as {"role": "x"}
}

test_time_mock if {
	authz.fresh with time.now_ns as 5
	not authz.fresh with time.now_ns as 2000000000000000001
}

clock := 7

now := 8

test_time_function if {
	authz.fresh with time.now_ns as now
}

test_jwt_value if {
	authz.signed("x") with io.jwt.verify_hs256 as true
}

test_jwt_decode if {
	authz.claims.sub == "u" with io.jwt.decode_verify as [true, {}, {"sub": "u"}] with input.token as "t"
}

mock_verify(t, _) if t == "good"

test_jwt_function if {
	authz.signed("good") with io.jwt.verify_hs256 as mock_verify
	not authz.signed("bad") with io.jwt.verify_hs256 as mock_verify
}

test_runtime if {
	authz.region == "eu" with opa.runtime as {"env": {"REGION": "eu"}}
}

test_own_function if {
	authz.signed("x") with authz.signed as true
	authz.level(3) == "q" with authz.level as "q"
}

test_rule_mock if {
	authz.allow with authz.is_admin as true with authz.locked as false
}

test_level[tc.note] if {
	some tc in [
		{"note": "low", "n": 1, "want": "low"},
		{"note": "mid", "n": 7, "want": "middle"},
		{"note": "high", "n": 70, "want": "high"},
	]
	authz.level(tc.n) == tc.want
}

test_real_time if authz.fresh

# What the evaluator by itself would read differently from OPA; the first two fail in both.

test_undefined_operand if not authz.level(input.absent)

test_no_number if not input.n + 1 == 3 with input.n as "x"

test_text if "http.send" == sprintf("http.%s", ["send"])
