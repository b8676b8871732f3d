# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_redis_frag_global_optspecs
	string join \n d/debug h/help V/version
end

function __fish_redis_frag_needs_command
	# Figure out if the current invocation already has a command.
	set -l cmd (commandline -opc)
	set -e cmd[1]
	argparse -s (__fish_redis_frag_global_optspecs) -- $cmd 2>/dev/null
	or return
	if set -q argv[1]
		# Also print the command, so this can be used to figure out what it is.
		echo $argv[1]
		return 1
	end
	return 0
end

function __fish_redis_frag_using_subcommand
	set -l cmd (__fish_redis_frag_needs_command)
	test -z "$cmd"
	and return 1
	contains -- $cmd[1] $argv
end

complete -c redis-frag -n "__fish_redis_frag_needs_command" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -s V -l version -d 'Print version'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "check-config" -d 'Show the jobs of the configuration as understood, secrets masked'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "diagnose" -d 'Say where the memory of instances went and what would bring it back'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "explain" -d 'Tell what a verdict, an alert, a chart, a risk or a known defect means, and what to do'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "replay" -d 'Diagnose recorded INFO texts, in the order of their time'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "record" -d 'Record an instance for replay, without secrets'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "size-classes" -d 'Say which sizes of allocations waste an instance\'s memory'
complete -c redis-frag -n "__fish_redis_frag_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand check-config" -l connect -d 'Try each job once, and tell how far that leads: reachable, authenticated, permitted, and what server it is'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand check-config" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l interval -d 'Seconds between rounds of --watch' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l username -d 'User for an ADDRESS that names none' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l password-file -d 'File with the password for an ADDRESS that has none; else the variable REDIS_FRAG_PASSWORD is taken' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l timeout -d 'Longest wait for an instance, as 500ms, 3s' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l tls-ca -d 'PEM file with the CAs to trust instead of the system\'s; this and the other --tls options stand for rediss://' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l tls-cert -d 'PEM file with the certificate to show, where the server wants one' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l tls-key -d 'PEM file with its private key' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l tls-server-name -d 'Name that the server\'s certificate must be for, if not that of the ADDRESS' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l json -d 'One JSON object a line for each instance'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -s w -l watch -d 'A live view where stdout is a terminal (? shows its keys); elsewhere report after report, until Ctrl-C'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l malloc-stats -d 'Ask each server once for MEMORY MALLOC-STATS, which blocks it for a millisecond and tells whether its build can defragment'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -l tls-skip-verify -d 'Trust whoever answers'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand diagnose" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand explain" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand replay" -l config-get -d 'What redis-cli CONFIG GET \'*defrag*\' printed' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand replay" -l malloc-stats -d 'What redis-cli MEMORY MALLOC-STATS printed' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand replay" -l json -d 'One JSON object a line for each file'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand replay" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l for -d 'How long, as 60s, 5m' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l every -d 'Time between samples' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -s o -l output -d 'Folder for it: a new or an empty one' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l username -d 'User for an ADDRESS that names none' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l password-file -d 'File with the password for an ADDRESS that has none; else the variable REDIS_FRAG_PASSWORD is taken' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l timeout -d 'Longest wait for an instance, as 500ms, 3s' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l tls-ca -d 'PEM file with the CAs to trust instead of the system\'s; this and the other --tls options stand for rediss://' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l tls-cert -d 'PEM file with the certificate to show, where the server wants one' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l tls-key -d 'PEM file with its private key' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l tls-server-name -d 'Name that the server\'s certificate must be for, if not that of the ADDRESS' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l malloc-stats -d 'Ask each server once for MEMORY MALLOC-STATS, which blocks it for a millisecond and tells whether its build can defragment'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -l tls-skip-verify -d 'Trust whoever answers'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand record" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l username -d 'User for an ADDRESS that names none' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l password-file -d 'File with the password for an ADDRESS that has none; else the variable REDIS_FRAG_PASSWORD is taken' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l timeout -d 'Longest wait for an instance, as 500ms, 3s' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l tls-ca -d 'PEM file with the CAs to trust instead of the system\'s; this and the other --tls options stand for rediss://' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l tls-cert -d 'PEM file with the certificate to show, where the server wants one' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l tls-key -d 'PEM file with its private key' -r -F
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l tls-server-name -d 'Name that the server\'s certificate must be for, if not that of the ADDRESS' -r
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l all -d 'All size classes, not the ten worst alone'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l json -d 'One JSON object'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -l tls-skip-verify -d 'Trust whoever answers'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -s d -l debug -d 'Log more, to stderr'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand size-classes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "check-config" -d 'Show the jobs of the configuration as understood, secrets masked'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "diagnose" -d 'Say where the memory of instances went and what would bring it back'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "explain" -d 'Tell what a verdict, an alert, a chart, a risk or a known defect means, and what to do'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "replay" -d 'Diagnose recorded INFO texts, in the order of their time'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "record" -d 'Record an instance for replay, without secrets'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "size-classes" -d 'Say which sizes of allocations waste an instance\'s memory'
complete -c redis-frag -n "__fish_redis_frag_using_subcommand help; and not __fish_seen_subcommand_from check-config diagnose explain replay record size-classes help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
