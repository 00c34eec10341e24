package conventions_test

import data.conventions

test_passes if conventions.allow with input as {"amount": 50, "currency": "EUR"}

test_with_data if {
	not conventions.allow with input as {"amount": 5, "currency": "EUR"} with data.limits.most as 1
}

test_undefined if {
	input.missing
	1 == 1
}

test_false := false

test_text := "true"

test_wrong if {
	fee := conventions.fee(50)
	fee == 2
}

test_prints if {
	print("seen", 1)
	1 == 2
}

test_mocked_function if conventions.fee(1) == 7 with conventions.fee as 7

test_twice if true

test_twice if 1 == 2

todo_test_later if 1 == 2

test_builtin_error if to_number("x") == 1

test_conflict := x if some x in [true, false]

test_cases[tc.note] if {
	some tc in [
		{"note": "free", "amount": 1, "fee": 0},
		{"note": "cheap", "amount": 50, "fee": 1},
		{"note": "wrong", "amount": 50, "fee": 2},
	]
	conventions.fee(tc.amount) == tc.fee
}

test_all_cases[note] if {
	some note, amount in {"free": 9, "also free": 0}
	conventions.fee(amount) == 0
}

test_nested[group][note] if {
	some group, notes in {"small": {"one": 1, "two": 2}, "large": {"big": 1000, "not so big": 50}}
	some note, amount in notes
	fee := conventions.fee(amount)
	fee in {0, 2}
}

deep.test_path if true

deep.test_path_fails if 1 == 2

helper if true

test_set contains 1 if true

test_numbers[i] if {
	some i in [1, 2]
	i == 1
}
