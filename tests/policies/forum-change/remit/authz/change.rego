package remit.authz

# METADATA
# title: Search is closed
# description: The index is being rebuilt; nothing is searched.
# custom:
#   reason_code: search_closed
denials contains "search_closed" if input.remit.action.verb == "search"

# What is posted on the forum is no longer for a human to approve.
verb_free if input.remit.action.operation == "forum.reply.publish"

takes_back if input.remit.action.operation == "forum.reply.publish"
