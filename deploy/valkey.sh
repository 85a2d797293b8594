#!/bin/sh
# Starts Valkey, with the given options and the users of users.acl in this folder. A user that has no
# password there (#HASH, nopass) and is not off needs one in the environment, NAME_PASSWORD. The file
# that Valkey reads has its SHA-256; no process list shows the password.
set -eu
umask 077

# variable NAME: prints the variable with the password of a user, TEAM_2_PASSWORD for team-2
variable() {
  printf %s_PASSWORD "$1" | tr -c '[:alnum:]' _ | tr '[:lower:]' '[:upper:]'
}

# rules_of NAME RULES: prints a user's line for Valkey
rules_of() {
  case " $2 " in
    *' #'* | *' >'* | *' nopass '* | *' off '*) printf 'user %s %s\n' "$1" "$2" ;;
    *)
      if ! password=$(printenv "$(variable "$1")") || [ -z "$password" ]; then
        echo "users.acl: user $1 has no password: set $(variable "$1"), or write #HASH into the" \
          "user's line, with the password's SHA-256" >&2
        exit 2
      fi
      hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
      printf 'user %s %s #%s\n' "$1" "$2" "$hash"
      unset "$(variable "$1")"
      ;;
  esac
}

acl=$(mktemp)
while read -r word name rules || [ -n "$word" ]; do
  if [ "$word" = user ]; then
    rules_of "$name" "$rules"
  elif [ -n "$word" ]; then
    echo "users.acl: a line begins with $word: each has to begin with user" >&2
    exit 2
  fi
done <"$(dirname "$0")/users.acl" >"$acl"
exec valkey-server "$@" --aclfile "$acl"
