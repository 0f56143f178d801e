# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mcp_front_global_optspecs
    string join \n profile= store= no-input v/verbose log-format= log-file= color= h/help V/version
end

function __fish_mcp_front_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mcp_front_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mcp_front_using_subcommand
    set -l cmd (__fish_mcp_front_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mcp-front -n "__fish_mcp_front_needs_command" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_needs_command" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_needs_command" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_needs_command" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_needs_command" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_needs_command" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -s V -l version -d 'Print version'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "login" -d 'Log in to a hosted MCP server in the browser, and store the login'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "logout" -d 'Revoke a login and delete it here'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "bridge" -d 'Serve a hosted MCP server on stdin and stdout; an MCP host starts this'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "status" -d 'Show how long each login lasts, what would end it, and what to do then'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "refresh" -d 'Renew a login now, where that is due'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "tokens" -d 'List, set and delete what is stored'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "doctor" -d 'Find out what keeps a bridge from working'
complete -c mcp-front -n "__fish_mcp_front_needs_command" -f -a "demo" -d 'Show login, bridge and renewal against a server inside this binary'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l name -d 'Keep the service under this name [default: from the URL\'s host]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l client-id -d 'Id of an OAuth client that was created at the provider' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l client-secret-file -d 'File that holds this client\'s secret' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l client-metadata-url -d 'https URL of a client ID metadata document, for servers that take one' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l scope -d 'Ask for this scope; repeat for more [default: what the server names]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l redirect-uri -d 'Redirect URI as it was registered at the provider' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l callback-port -d 'Port of the callback on this machine [default: any free one]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l ca-file -d 'Trust the root certificates of this PEM file, beside the platform\'s' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l client-cert -d 'Show this PEM certificate to the service\'s own origin, and to nobody else' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l client-key -d 'The certificate\'s private key in PEM [default: the certificate\'s file]' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l force -d 'Log in anew, even where the login is still good; with --store, move it there'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l client-secret-stdin -d 'Read the client secret from stdin'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l no-scope -d 'Ask for no scope at all'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l no-browser -d 'Print the authorization URL instead of opening a browser'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l allow-http -d 'Allow plain http beyond this machine: tokens travel unencrypted'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l allow-private-network -d 'Let a public service name addresses of private networks at a login'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand login" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l ca-file -d 'Trust the root certificates of this PEM file, beside the platform\'s' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l client-cert -d 'Show this PEM certificate to the service\'s own origin, and to nobody else' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l client-key -d 'The certificate\'s private key in PEM [default: the certificate\'s file]' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l local-only -d 'Delete it here and revoke nothing'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l allow-private-network -d 'Let a public service name addresses of private networks at a login'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand logout" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l header -d 'Add a header to each request; `${NAME}` in the value is read from the environment' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l header-file -d 'Read such headers from a file, one a line, `#` for comments' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l transport -d 'Transport to speak; sse is the old HTTP+SSE of 2024-11-05 [default: auto]' -r -f -a "auto\t''
http\t''
sse\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l era -d 'Era to serve the host in; modern serves 2026-07-28 whatever the server speaks [default: auto]' -r -f -a "auto\t''
modern\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l name -d 'Keep the service under this name [default: from the URL\'s host]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l client-id -d 'Id of an OAuth client that was created at the provider' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l client-secret-file -d 'File that holds this client\'s secret' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l client-metadata-url -d 'https URL of a client ID metadata document, for servers that take one' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l scope -d 'Ask for this scope; repeat for more [default: what the server names]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l redirect-uri -d 'Redirect URI as it was registered at the provider' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l callback-port -d 'Port of the callback on this machine [default: any free one]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l ca-file -d 'Trust the root certificates of this PEM file, beside the platform\'s' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l client-cert -d 'Show this PEM certificate to the service\'s own origin, and to nobody else' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l client-key -d 'The certificate\'s private key in PEM [default: the certificate\'s file]' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l login -d 'Open the browser where a login is required'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l strict -d 'Refuse a host while a login is required, instead of letting it connect and saying what to run'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l keep-alive -d 'Renew the login now and then while nobody uses it, so that it does not end of idleness'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l no-scope -d 'Ask for no scope at all'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l allow-http -d 'Allow plain http beyond this machine: tokens travel unencrypted'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l allow-private-network -d 'Let a public service name addresses of private networks at a login'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l no-browser -d 'Print the authorization URL instead of opening a browser'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand bridge" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l fail-within -d 'Fail where a login ends within this time, for instance 14d' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l refresh-lifetime -d 'How long a refresh token lasts, where the server does not say' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l json -d 'Print JSON, with times in RFC 3339 UTC'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l strict -d 'Fail too where nobody says when a login ends'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand status" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l ca-file -d 'Trust the root certificates of this PEM file, beside the platform\'s' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l client-cert -d 'Show this PEM certificate to the service\'s own origin, and to nobody else' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l client-key -d 'The certificate\'s private key in PEM [default: the certificate\'s file]' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l force -d 'Renew it though it is not due'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l json -d 'Print JSON, with times in RFC 3339 UTC'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l allow-private-network -d 'Let a public service name addresses of private networks at a login'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand refresh" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -f -a "list" -d 'List what is stored and its state, never a value'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -f -a "set" -d 'Store a static API token'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and not __fish_seen_subcommand_from list set delete" -f -a "delete" -d 'Delete what is stored for a service'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l json -d 'Print JSON, with times in RFC 3339 UTC'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l name -d 'Keep the service under this name [default: from the URL\'s host]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l allow-http -d 'Allow plain http beyond this machine: the token travels unencrypted'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l force -d 'Replace a login, which is not revoked; with --store, move what is stored there'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -s y -l yes -d 'Do not ask'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l force -d 'Forget it even where its store cannot be reached: what lies there stays'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand tokens; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l ca-file -d 'Trust the root certificates of this PEM file, beside the platform\'s' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l client-cert -d 'Show this PEM certificate to the service\'s own origin, and to nobody else' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l client-key -d 'The certificate\'s private key in PEM [default: the certificate\'s file]' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l header -d 'Add a header to the requests to the endpoint, as a bridge would; `${NAME}` in the value is read from the environment' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l header-file -d 'Read such headers from a file, one a line, `#` for comments' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l json -d 'Print JSON'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l allow-http -d 'Take a plain http address beyond this machine'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l allow-private-network -d 'Let a public service name addresses of private networks at a login'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l profile -d 'Keep and find logins under this profile [default: default]' -r
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l store -d 'Where secrets are kept [default: keyring]' -r -f -a "keyring\t''
file\t''
memory\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l log-format -d 'How logs are written on stderr [default: text]' -r -f -a "text\t''
json\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l log-file -d 'Log to this file as well, which is kept small and private' -r -F
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l color -d 'Colour on a terminal [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l browser -d 'Open the consent page in a browser instead of following it'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -l no-input -d 'Never ask anything; fail instead'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -s v -l verbose -d 'Say more on stderr; repeat for more still'
complete -c mcp-front -n "__fish_mcp_front_using_subcommand demo" -s h -l help -d 'Print help'
