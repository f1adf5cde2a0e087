# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cfs_host_global_optspecs
    string join \n h/help V/version
end

function __fish_cfs_host_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cfs_host_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cfs_host_using_subcommand
    set -l cmd (__fish_cfs_host_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cfs-host -n "__fish_cfs_host_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -s V -l version -d 'Print version'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "keys" -d 'Make signing keys'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "seal" -d 'Seal an image: build and sign its UKI, sign the image, add both to it'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "sign" -d 'Sign an image that holds its UKI: anew, or with one more signature for policies that want several'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "image" -d 'Look at images'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "uki" -d 'Build UKI files, look at them'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "install" -d 'Install an image'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "status" -d 'Show what was booted, who signed it, and what is odd. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and not __fish_seen_subcommand_from generate help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and not __fish_seen_subcommand_from generate help" -f -a "generate" -d 'Make a key directory: Secure Boot keys and updates, the image signing key, a strict policy (docs/keys.md)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and not __fish_seen_subcommand_from generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and __fish_seen_subcommand_from generate" -l product -d 'Images of other products will be refused' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and __fish_seen_subcommand_from generate" -l common-name -d 'The beginning of the certificates\' common names; the product\'s name if absent' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and __fish_seen_subcommand_from generate" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "generate" -d 'Make a key directory: Secure Boot keys and updates, the image signing key, a strict policy (docs/keys.md)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l keys -d 'Key directory, as `keys generate` makes it; keys that a command reaches need not be in it' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l policy -d 'The policy, if it is not DIR/policy.json' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l karg -d 'A kernel argument to add; may be repeated' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l module -d 'A kernel module that the initrd needs besides the usual ones; may be repeated' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l init -d 'The cfs-init program; by default the one beside this program, else the installed one' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l sb-sign-command -d 'Sign UKI and loader by this command instead of DIR/secureboot/db.key: RSA, PKCS#1 v1.5, SHA-256' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l sb-certificate -d 'The certificate of the Secure Boot signing key, if it is not DIR/secureboot/db.crt' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l epoch -d 'The new layer\'s time in seconds since 1970; that of the image\'s newest file if absent' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l image-sign-command -d 'Sign the image by this command instead of DIR/image/image.key: it is run by `sh -c`, takes the message on its standard input and prints the signature, ECDSA in DER: `openssl dgst -sha256 -sign KEY` is one' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l image-certificate -d 'The certificate of the image signing key, if it is not DIR/image/image.crt' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l json -d 'Print what was made as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l signer -d 'Key directory with image/image.key and image/image.crt of the signer, if it is not that of --keys' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l image-sign-command -d 'Sign the image by this command instead of DIR/image/image.key: it is run by `sh -c`, takes the message on its standard input and prints the signature, ECDSA in DER: `openssl dgst -sha256 -sign KEY` is one' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l image-certificate -d 'The certificate of the image signing key, if it is not DIR/image/image.crt' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l keys -d 'Trust this key directory: its policy, beside that of the image\'s own UKI, and its db certificate for UKI and loader' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l policy -d 'Trust this policy file (instead of DIR/policy.json)' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l append -d 'Add a signature to those that are there, once they are verified; without it they are replaced'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from inspect verify help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from inspect verify help" -f -a "inspect" -d 'Show what an image claims to be and how far that holds; always exits with 0 if the image can be read'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from inspect verify help" -f -a "verify" -d 'Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from inspect verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l keys -d 'Trust this key directory: its policy, beside that of the image\'s own UKI, and its db certificate for UKI and loader' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l policy -d 'Trust this policy file (instead of DIR/policy.json)' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show what an image claims to be and how far that holds; always exits with 0 if the image can be read'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and not __fish_seen_subcommand_from build inspect help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and not __fish_seen_subcommand_from build inspect help" -f -a "build" -d 'Build and sign the UKI that `seal` would put into an image, as a file'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and not __fish_seen_subcommand_from build inspect help" -f -a "inspect" -d 'Show a UKI\'s identity and policy; fails unless its parts belong together'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and not __fish_seen_subcommand_from build inspect help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -s o -l output -d 'The UKI\'s file; one that exists is replaced' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l keys -d 'Key directory, as `keys generate` makes it; keys that a command reaches need not be in it' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l policy -d 'The policy, if it is not DIR/policy.json' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l karg -d 'A kernel argument to add; may be repeated' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l module -d 'A kernel module that the initrd needs besides the usual ones; may be repeated' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l init -d 'The cfs-init program; by default the one beside this program, else the installed one' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l sb-sign-command -d 'Sign UKI and loader by this command instead of DIR/secureboot/db.key: RSA, PKCS#1 v1.5, SHA-256' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l sb-certificate -d 'The certificate of the Secure Boot signing key, if it is not DIR/secureboot/db.crt' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l json -d 'Print what was made as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from inspect" -l db -d 'Also fail unless the key of this certificate signed it; may be repeated' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from inspect" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from help" -f -a "build" -d 'Build and sign the UKI that `seal` would put into an image, as a file'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show a UKI\'s identity and policy; fails unless its parts belong together'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and not __fish_seen_subcommand_from to-disk help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and not __fish_seen_subcommand_from to-disk help" -f -a "to-disk" -d 'Make a bootable disk: a new file (raw, or qcow2 by its ending) or a whole block device'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and not __fish_seen_subcommand_from to-disk help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l image -d 'The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l target-imgref -d 'The image that the host will follow, if it is not the one that is installed' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l size -d 'Size of a new file, 4G for one; auto: as large as the image twice and 1 GiB more' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l esp-size -d 'Size of the EFI system partition' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l enroll-keys -d 'Let the loader enroll the keys PK.auth, KEK.auth and db.auth of this directory (or of its secureboot/) into a firmware in setup mode. On a machine whose option ROMs need other keys this can stop it from starting' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l keys -d 'Trust this key directory: its policy, beside that of the image\'s own UKI, and its db certificate for UKI and loader' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l policy -d 'Trust this policy file (instead of DIR/policy.json)' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l scratch -d 'Where to make the staging directory; beside a file, or in /var/tmp for a device, if absent' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l wipe -d 'Replace an existing file, or destroy all that is on the device'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from help" -f -a "to-disk" -d 'Make a bootable disk: a new file (raw, or qcow2 by its ending) or a whole block device'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l root -d 'Look at another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l json -d 'Print JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l booted -d 'Leave out the deployments that do not run'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "keys" -d 'Make signing keys'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "seal" -d 'Seal an image: build and sign its UKI, sign the image, add both to it'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "sign" -d 'Sign an image that holds its UKI: anew, or with one more signature for policies that want several'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "image" -d 'Look at images'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "uki" -d 'Build UKI files, look at them'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "install" -d 'Install an image'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "status" -d 'Show what was booted, who signed it, and what is odd. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "generate" -d 'Make a key directory: Secure Boot keys and updates, the image signing key, a strict policy (docs/keys.md)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "inspect" -d 'Show what an image claims to be and how far that holds; always exits with 0 if the image can be read'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "verify" -d 'Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from uki" -f -a "build" -d 'Build and sign the UKI that `seal` would put into an image, as a file'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from uki" -f -a "inspect" -d 'Show a UKI\'s identity and policy; fails unless its parts belong together'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from install" -f -a "to-disk" -d 'Make a bootable disk: a new file (raw, or qcow2 by its ending) or a whole block device'
