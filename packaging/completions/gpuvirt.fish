# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_gpuvirt_global_optspecs
    string join \n o/output= host= socket= key= h/help V/version
end

function __fish_gpuvirt_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_gpuvirt_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_gpuvirt_using_subcommand
    set -l cmd (__fish_gpuvirt_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -s V -l version -d 'Print version'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "gpu" -d 'GPUs: what they are, how they are used, who holds them; and giving them another type'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "profile" -d 'vGPU profiles: what a VM can ask for, and how much is left'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "mig" -d 'GPU instances (MIG): the parts that a card is cut into, for vGPUs to live on'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "vgpu" -d 'vGPUs: the shares of GPUs that exist now'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "capacity" -d 'How many vGPUs of each profile fit, live, remain and are kept. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "host" -d 'The host\'s defaults: default type, assignment policy, reservations, maintenance'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "vm" -d 'VMs: libvirt domains and the GPUs that they have'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "xml" -d 'Print the <hostdev> elements for a GPU or a vGPU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "snapshot" -d 'Record this host into a file that --host reads again. Changes nothing but that file'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "driver" -d 'Driver packages: what they are, and whether they fit a GPU or a VM'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "advise" -d 'Advise on passthrough or vGPU for a workload on this host, with reasons and commands. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "config" -d 'The desired document: what all managed GPUs are to be, as one file'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "import" -d 'Show what driverctl, mdevctl, vfio-pci.ids=, libvirt and Proxmox say of this host\'s GPUs as a document. Changes nothing without --apply'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "explain" -d 'Explain the name of a refusal, a warning or a finding: cause, how it is found out, remedy. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "status" -d 'Show whether gpuvirtd answers, and the GPUs that are not as they were asked to be. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "doctor" -d 'Find what keeps GPUs from working in VMs, with cause and remedy. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "events" -d 'Show what happened lately: changes, devices that came and went. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "metrics" -d 'Print gpuvirtd\'s numbers for Prometheus, or put them into a file for node_exporter. Changes nothing but that file'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "esxcli" -d 'ESXi\'s words for all this: `esxcli graphics ...`, with its options and its output'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "recover" -d 'Take back changes that neither succeeded nor could be undone. Changes the GPUs that are hands-off'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "hook" -d 'Answer libvirt\'s hook: not for people. Changes the host, as far as a VM\'s start wants it'
complete -c gpuvirt -n "__fish_gpuvirt_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "list" -d 'List all GPUs: types configured and active, driver, IOMMU group, vGPUs, VMs. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "show" -d 'Show all that is known of one GPU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "set" -d 'Give a GPU a graphics type, and manage it. Changes the host and the configuration'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "cordon" -d 'Place nothing more on a GPU; what is on it stays. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "uncordon" -d 'Place vGPUs on a GPU again. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "unset" -d 'Forget a GPU\'s configuration: it is unmanaged from then on. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and not __fish_seen_subcommand_from list show set cordon uncordon unset help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from list" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from list" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from list" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from show" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from show" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from show" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l type -d 'shared, direct, shared-direct or default; vSphere\'s spellings are understood too' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l vgpu-mode -d 'Which vGPU profiles may live together on it: same-size, mixed-size or mig. Only with shared-direct' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l vfs -d 'How many virtual functions it gets; without it, as many as it can have. Only with shared-direct' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l label -d 'A name for it, usable wherever an address is; where several GPUs share one, VMs can ask for any of them. "" takes it away' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l accept -d 'Accept a refusal by its name; stored and shown. May be given more than once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l when -d 'When it comes into force: now; idle, as soon as nothing uses the card; boot, at the next one; vm, whenever a VM that asks for the card starts, and the host has it back afterwards' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l wait -d 'Longest wait for a write that can block, e.g. 30s or 5m' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -l dry-run -d 'Show the plan, as sentences and as the equivalent shell writes; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from cordon" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from cordon" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from cordon" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from cordon" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from cordon" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from uncordon" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from uncordon" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from uncordon" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from uncordon" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from uncordon" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from unset" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from unset" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from unset" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from unset" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from unset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all GPUs: types configured and active, driver, IOMMU group, vGPUs, VMs. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show all that is known of one GPU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "set" -d 'Give a GPU a graphics type, and manage it. Changes the host and the configuration'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "cordon" -d 'Place nothing more on a GPU; what is on it stays. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "uncordon" -d 'Place vGPUs on a GPU again. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "unset" -d 'Forget a GPU\'s configuration: it is unmanaged from then on. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand gpu; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'List the vGPU profiles that GPUs offer now. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from list" -l gpu -d 'Those of one GPU only: its address or label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from list" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from list" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from list" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the vGPU profiles that GPUs offer now. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -f -a "list" -d 'List the GPU instances of GPUs, and the profiles that more can be made of. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -f -a "create" -d 'Make GPU instances on a GPU whose vGPU mode is mig, each with its compute instance. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -f -a "remove" -d 'Remove GPU instances that gpuvirt made and no vGPU lives on. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and not __fish_seen_subcommand_from list create remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from list" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from list" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from list" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -l count -d 'How many' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -l dry-run -d 'Show the plan, as sentences and as the equivalent shell lines; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -l all -d 'All that gpuvirt made on the GPU'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -l dry-run -d 'Show the plan, as sentences and as the equivalent shell lines; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the GPU instances of GPUs, and the profiles that more can be made of. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make GPU instances on a GPU whose vGPU mode is mig, each with its compute instance. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove GPU instances that gpuvirt made and no vGPU lives on. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand mig; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -f -a "list" -d 'List the vGPUs that exist now, whoever made them. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -f -a "show" -d 'Show one vGPU: parent, profile, group, VMs, holders. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -f -a "create" -d 'Create vGPUs on a GPU of type shared-direct. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -f -a "set" -d 'Set the parameters of a vGPU that gpuvirt made and nobody holds. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -f -a "remove" -d 'Remove vGPUs that gpuvirt made and nobody holds. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and not __fish_seen_subcommand_from list show create set remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from list" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from list" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from list" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from show" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from show" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from show" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l gpu -d 'The GPU: its address or label; chosen by gpuvirtd when left out' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l profile -d 'The profile, as `gpuvirt profile list` shows it' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l count -d 'How many; as many as there are --uuid when left out' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l uuid -d 'The UUID to give it, where it is a mediated device; chosen by gpuvirtd when left out. Repeatable' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l param -d 'A parameter for its driver, e.g. frame_rate_limiter=0. Repeatable' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l explain -d 'Say why the vGPU is placed where it is, and why on no other GPU'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -l dry-run -d 'Show the plan, as sentences and as the equivalent shell writes; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -l param -d 'A parameter for its driver, e.g. frame_rate_limiter=0. Repeatable' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -l clear-params -d 'Clear all parameters; with --param, all but those'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -l dry-run -d 'Show the plan, as sentences and as the equivalent shell writes; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -l gpu -d 'With --all, the GPU: its address or label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -l all -d 'Every vGPU that gpuvirt made on the GPU, and none of others'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -l dry-run -d 'Show the plan, as sentences and as the equivalent shell writes; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the vGPUs that exist now, whoever made them. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one vGPU: parent, profile, group, VMs, holders. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from help" -f -a "create" -d 'Create vGPUs on a GPU of type shared-direct. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from help" -f -a "set" -d 'Set the parameters of a vGPU that gpuvirt made and nobody holds. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove vGPUs that gpuvirt made and nobody holds. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vgpu; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand capacity" -l profile -d 'This profile only' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand capacity" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand capacity" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand capacity" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand capacity" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand capacity" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -f -a "show" -d 'Show the host\'s defaults, reservations and maintenance. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -f -a "set" -d 'Change the default type or the assignment policy. Changes the configuration, and GPUs that follow the default'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -f -a "refresh" -d 'Look at the host anew, and say what changed since the last refresh. Changes GPUs that wait, where they can go on'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -f -a "maintenance" -d 'Place nothing more on this host, or do so again. Changes the configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -f -a "reserve" -d 'Keep room for so many vGPUs of a profile. Changes the configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and not __fish_seen_subcommand_from show set refresh maintenance reserve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from show" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from show" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from show" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -l default-type -d 'What a GPU of type default is: shared or shared-direct' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -l assignment-policy -d 'performance or consolidation' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -l yes -d 'Change the GPUs that follow the default type with it'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from refresh" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from refresh" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from refresh" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from refresh" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from refresh" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from maintenance" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from maintenance" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from maintenance" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from maintenance" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from maintenance" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from reserve" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from reserve" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from reserve" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from reserve" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from reserve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the host\'s defaults, reservations and maintenance. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change the default type or the assignment policy. Changes the configuration, and GPUs that follow the default'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "refresh" -d 'Look at the host anew, and say what changed since the last refresh. Changes GPUs that wait, where they can go on'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "maintenance" -d 'Place nothing more on this host, or do so again. Changes the configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "reserve" -d 'Keep room for so many vGPUs of a profile. Changes the configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand host; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "list" -d 'List libvirt\'s domains with the GPUs and vGPUs that they have or name. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "show" -d 'Show one domain: state and GPU devices, in its definition and in the running QEMU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "migratable" -d 'Say whether a domain can move to another host while it runs, and why not. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "xml" -d 'Print a domain\'s definition without its secrets. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "add" -d 'Add a GPU or a vGPU to a domain\'s definition. Changes the stored definition, for the next start'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "remove" -d 'Take a GPU or a vGPU out of a domain\'s definition. Changes the stored definition, for the next start'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "adopt" -d 'Note requests for the GPUs and vGPUs that a domain has without. Changes the stored definition\'s metadata alone'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "set" -d 'State which GPU driver a domain\'s guest has. Changes the stored definition\'s metadata alone'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "start" -d 'Start a domain, with devices chosen for what it asks for. Changes its definition where others than the last ones are chosen'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and not __fish_seen_subcommand_from list show migratable xml add remove adopt set start help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from list" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from list" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from list" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from show" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from show" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from show" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from migratable" -l to-host -d 'The other host: a snapshot or a recording of it, or its configuration as `gpuvirt config export` writes it (.yaml, .yml, .json)' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from migratable" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from migratable" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from migratable" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from migratable" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from migratable" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from xml" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from xml" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from xml" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from xml" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from xml" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l profile -d 'A vGPU of a profile, as `gpuvirt profile list` shows it; made when the VM starts, on a GPU that has room then' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l gpu -d 'This GPU, whole, all its functions: its address or label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l match -d 'Any whole GPU of a kind, as `lspci -n` shows it: VVVV:DDDD, or VVVV:DDDD:SVVV:SDDD with its subsystem' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l vgpu -d 'A vGPU that exists: its UUID, or the address of the virtual function that it is' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l count -d 'With --profile: how many vGPUs; one when left out' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l param -d 'With --profile: a parameter for the vendor\'s driver, name=value. Repeatable' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l label -d 'With --match: only a GPU with this label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -l dry-run -d 'Show the elements that would be added; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from remove" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from remove" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from remove" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from remove" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from adopt" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from adopt" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from adopt" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from adopt" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from adopt" -l dry-run -d 'Show what would be adopted; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from adopt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -l guest-driver -d 'The package\'s file name or its version, as `gpuvirt driver check` knows them; `none` forgets what was stated' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -l dry-run -d 'Show what would be noted; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from start" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from start" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from start" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from start" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from start" -l explain -d 'Show which devices it would get and why not others; change and start nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "list" -d 'List libvirt\'s domains with the GPUs and vGPUs that they have or name. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one domain: state and GPU devices, in its definition and in the running QEMU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "migratable" -d 'Say whether a domain can move to another host while it runs, and why not. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "xml" -d 'Print a domain\'s definition without its secrets. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add a GPU or a vGPU to a domain\'s definition. Changes the stored definition, for the next start'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Take a GPU or a vGPU out of a domain\'s definition. Changes the stored definition, for the next start'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "adopt" -d 'Note requests for the GPUs and vGPUs that a domain has without. Changes the stored definition\'s metadata alone'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "set" -d 'State which GPU driver a domain\'s guest has. Changes the stored definition\'s metadata alone'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start a domain, with devices chosen for what it asks for. Changes its definition where others than the last ones are chosen'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand vm; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -l gpu -d 'A whole GPU, all its functions: its address or label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -l vgpu -d 'A vGPU that exists: its UUID, or the address of the virtual function that it is' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand xml" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -l file -d 'The file to write' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -l hide-names -d 'Put vm1, vm2, gpu1, ... in the place of the names of VMs and labels of GPUs; leave out those of processes'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand snapshot" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -f -a "check" -d 'Say what a driver package is, and whether it fits a GPU or a VM. Changes nothing, opens no file'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -f -a "list" -d 'List the releases of NVIDIA\'s vGPU software that are known here, and what goes with what. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and not __fish_seen_subcommand_from check list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -l vm -d 'Judge it for this VM\'s devices' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -l gpu -d 'Judge it for this GPU as it is configured: its address or label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from list" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from list" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from list" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from help" -f -a "check" -d 'Say what a driver package is, and whether it fits a GPU or a VM. Changes nothing, opens no file'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the releases of NVIDIA\'s vGPU software that are known here, and what goes with what. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand driver; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l workload -d 'What the GPU is for' -r -f -a "vdi\t'Office desktops, published applications'
cad\t'Workstations: CAD, rendering, editing'
ml-training\t'Training models'
inference\t'Serving models'
transcode\t'Transcoding video'
gaming\t'Games, or a desktop of one\'s own'
ci\t'Builds and tests that come and go'
hpc\t'Computing other than models'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l vms -d 'How many VMs run at once with a GPU' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l gpu -d 'Only this GPU: its address or label' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l need -d 'What must be given. Repeatable' -r -f -a "migration\t'A VM moves to another host while it runs'
isolation\t'One VM\'s load and faults don\'t reach another\'s'
performance\t'All of a card\'s speed'
density\t'More VMs than cards'
no-licence\t'No licence of NVIDIA\'s'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand advise" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -f -a "export" -d 'Print what is configured as a document that `config apply` takes. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -f -a "diff" -d 'Show what a document would change of what is configured. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -f -a "apply" -d 'Make the host what a document says. Changes the host and the configuration'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and not __fish_seen_subcommand_from export diff apply help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from export" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from export" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from export" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from export" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -s f -l file -d 'The file, YAML or JSON; - is standard input' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -l prune -d 'Managed GPUs that the document does not name become unmanaged, as by `gpu unset`'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -s f -l file -d 'The file, YAML or JSON; - is standard input' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l wait -d 'Longest wait for a write that can block, e.g. 30s or 5m' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l prune -d 'Managed GPUs that the document does not name become unmanaged, as by `gpu unset`'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l dry-run -d 'Show the plan of each GPU, and whatever is in the way; change nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l adopt -d 'vGPUs of the document that live already and that another tool made become gpuvirt\'s, where GPU and profile are those of the document. Without it they are in the way'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -l yes -d 'A new default type is meant for the GPUs that follow it too; without this they are listed, and nothing is changed'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print what is configured as a document that `config apply` takes. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Show what a document would change of what is configured. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "apply" -d 'Make the host what a document says. Changes the host and the configuration'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -l root -d 'Read other tools\' files below this folder instead of /: a copy of /etc and /proc/cmdline, such as a backup. Links in it lead to its own files' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -l wait -d 'With --apply: longest wait for a write that can block, e.g. 30s or 5m' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -l apply -d 'Make the host so, as `config apply` would; refused while anything contradicts'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand explain" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand explain" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand explain" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand explain" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand explain" -l all-markdown -d 'Print docs/refusals.md'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand status" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand status" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand status" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand status" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand doctor" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand doctor" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand doctor" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand doctor" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand events" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand events" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand events" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand events" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand events" -s f -l follow -d 'Wait for more, until interrupted or until gpuvirtd ends'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand metrics" -l textfile -d 'The file to replace, in a folder that exists; node_exporter reads those that end in .prom' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand metrics" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand metrics" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand metrics" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand metrics" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -f -a "graphics" -d 'GPUs, as `esxcli graphics` has them'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and not __fish_seen_subcommand_from graphics help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -f -a "device" -d 'Graphics devices'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -f -a "host" -d 'The host\'s graphics properties'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -f -a "vm" -d 'VMs with graphics devices'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from graphics" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from help" -f -a "graphics" -d 'GPUs, as `esxcli graphics` has them'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand esxcli; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand recover" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand recover" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand recover" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand recover" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand hook" -s o -l output -d 'How to print: a table for people (may change), or JSON or YAML for programs (versioned)' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'The same document as YAML'"
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand hook" -l host -d 'Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand hook" -l socket -d 'The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names' -r -F
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand hook" -l key -d 'A UUID for this change: the same order given again with it, after its answer was lost, is carried out once' -r
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "gpu" -d 'GPUs: what they are, how they are used, who holds them; and giving them another type'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "profile" -d 'vGPU profiles: what a VM can ask for, and how much is left'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "mig" -d 'GPU instances (MIG): the parts that a card is cut into, for vGPUs to live on'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "vgpu" -d 'vGPUs: the shares of GPUs that exist now'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "capacity" -d 'How many vGPUs of each profile fit, live, remain and are kept. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "host" -d 'The host\'s defaults: default type, assignment policy, reservations, maintenance'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "vm" -d 'VMs: libvirt domains and the GPUs that they have'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "xml" -d 'Print the <hostdev> elements for a GPU or a vGPU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "snapshot" -d 'Record this host into a file that --host reads again. Changes nothing but that file'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "driver" -d 'Driver packages: what they are, and whether they fit a GPU or a VM'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "advise" -d 'Advise on passthrough or vGPU for a workload on this host, with reasons and commands. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "config" -d 'The desired document: what all managed GPUs are to be, as one file'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "import" -d 'Show what driverctl, mdevctl, vfio-pci.ids=, libvirt and Proxmox say of this host\'s GPUs as a document. Changes nothing without --apply'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "explain" -d 'Explain the name of a refusal, a warning or a finding: cause, how it is found out, remedy. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "status" -d 'Show whether gpuvirtd answers, and the GPUs that are not as they were asked to be. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "doctor" -d 'Find what keeps GPUs from working in VMs, with cause and remedy. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "events" -d 'Show what happened lately: changes, devices that came and went. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "metrics" -d 'Print gpuvirtd\'s numbers for Prometheus, or put them into a file for node_exporter. Changes nothing but that file'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "esxcli" -d 'ESXi\'s words for all this: `esxcli graphics ...`, with its options and its output'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "recover" -d 'Take back changes that neither succeeded nor could be undone. Changes the GPUs that are hands-off'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "hook" -d 'Answer libvirt\'s hook: not for people. Changes the host, as far as a VM\'s start wants it'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and not __fish_seen_subcommand_from gpu profile mig vgpu capacity host vm xml snapshot driver advise config import explain status doctor events metrics esxcli recover hook help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from gpu" -f -a "list" -d 'List all GPUs: types configured and active, driver, IOMMU group, vGPUs, VMs. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from gpu" -f -a "show" -d 'Show all that is known of one GPU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from gpu" -f -a "set" -d 'Give a GPU a graphics type, and manage it. Changes the host and the configuration'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from gpu" -f -a "cordon" -d 'Place nothing more on a GPU; what is on it stays. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from gpu" -f -a "uncordon" -d 'Place vGPUs on a GPU again. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from gpu" -f -a "unset" -d 'Forget a GPU\'s configuration: it is unmanaged from then on. Changes the stored configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "list" -d 'List the vGPU profiles that GPUs offer now. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from mig" -f -a "list" -d 'List the GPU instances of GPUs, and the profiles that more can be made of. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from mig" -f -a "create" -d 'Make GPU instances on a GPU whose vGPU mode is mig, each with its compute instance. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from mig" -f -a "remove" -d 'Remove GPU instances that gpuvirt made and no vGPU lives on. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vgpu" -f -a "list" -d 'List the vGPUs that exist now, whoever made them. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vgpu" -f -a "show" -d 'Show one vGPU: parent, profile, group, VMs, holders. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vgpu" -f -a "create" -d 'Create vGPUs on a GPU of type shared-direct. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vgpu" -f -a "set" -d 'Set the parameters of a vGPU that gpuvirt made and nobody holds. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vgpu" -f -a "remove" -d 'Remove vGPUs that gpuvirt made and nobody holds. Changes the host'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "show" -d 'Show the host\'s defaults, reservations and maintenance. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "set" -d 'Change the default type or the assignment policy. Changes the configuration, and GPUs that follow the default'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "refresh" -d 'Look at the host anew, and say what changed since the last refresh. Changes GPUs that wait, where they can go on'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "maintenance" -d 'Place nothing more on this host, or do so again. Changes the configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from host" -f -a "reserve" -d 'Keep room for so many vGPUs of a profile. Changes the configuration only'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "list" -d 'List libvirt\'s domains with the GPUs and vGPUs that they have or name. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "show" -d 'Show one domain: state and GPU devices, in its definition and in the running QEMU. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "migratable" -d 'Say whether a domain can move to another host while it runs, and why not. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "xml" -d 'Print a domain\'s definition without its secrets. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "add" -d 'Add a GPU or a vGPU to a domain\'s definition. Changes the stored definition, for the next start'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "remove" -d 'Take a GPU or a vGPU out of a domain\'s definition. Changes the stored definition, for the next start'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "adopt" -d 'Note requests for the GPUs and vGPUs that a domain has without. Changes the stored definition\'s metadata alone'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "set" -d 'State which GPU driver a domain\'s guest has. Changes the stored definition\'s metadata alone'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from vm" -f -a "start" -d 'Start a domain, with devices chosen for what it asks for. Changes its definition where others than the last ones are chosen'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from driver" -f -a "check" -d 'Say what a driver package is, and whether it fits a GPU or a VM. Changes nothing, opens no file'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from driver" -f -a "list" -d 'List the releases of NVIDIA\'s vGPU software that are known here, and what goes with what. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "export" -d 'Print what is configured as a document that `config apply` takes. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "diff" -d 'Show what a document would change of what is configured. Changes nothing'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "apply" -d 'Make the host what a document says. Changes the host and the configuration'
complete -c gpuvirt -n "__fish_gpuvirt_using_subcommand help; and __fish_seen_subcommand_from esxcli" -f -a "graphics" -d 'GPUs, as `esxcli graphics` has them'
