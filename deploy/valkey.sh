#!/bin/sh
# Starts Valkey (given its options) with the users of users.acl beside this file. Their passwords
# come from the environment; the file that Valkey reads has their SHA-256, no process list anything.
set -eu
umask 077

# user NAME PASSWORD: the rules of a user, with the password's hash
user() {
  hash=$(printf %s "$2" | sha256sum | cut -d ' ' -f 1)
  sed -n "s/^user $1 on /&#$hash /p" "$rules"
}

rules=$(dirname "$0")/users.acl
acl=$(mktemp)
{
  grep '^user default ' "$rules"
  user publisher "$PUBLISHER_PASSWORD"
  user consumer "$CONSUMER_PASSWORD"
  user operator "$OPERATOR_PASSWORD"
} >"$acl"
unset PUBLISHER_PASSWORD CONSUMER_PASSWORD OPERATOR_PASSWORD
exec valkey-server "$@" --aclfile "$acl"
