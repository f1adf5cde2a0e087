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
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "image" -d 'Pull, list, look at, compare and mount images, and show them to podman'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "uki" -d 'Build UKI files, look at them'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "install" -d 'Install an image'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "status" -d 'Show what runs, what boots next, what failed and why, and who signed it. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "switch" -d 'Follow another image: fetch it, verify it, and stage it for the next boot'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "upgrade" -d 'Fetch a newer version of the image that this host follows, and stage it for the next boot'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "rollback" -d 'Boot an earlier deployment by default: the one that was the default before, or the one that is named'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "pin" -d 'Keep a deployment, whatever `prune` and updates would do'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "prune" -d 'Remove deployments that are not needed, and what only they used'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "fsck" -d 'Check the store and what deployments need of it: every object, stream, image and name'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "storage" -d 'Show what the store and podman\'s storage take together'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "etc" -d 'What this machine changed in /etc'
complete -c cfs-host -n "__fish_cfs_host_needs_command" -f -a "internals" -d 'Steps that the units of cfs-host run'
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
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand seal" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
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
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l append -d 'Add a signature to those that are there, once they are verified; without it they are replaced'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand sign" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "pull" -d 'Bring an image into the store, without deploying it'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "list" -d 'List the images that tags, deployments and `image share` keep in the store'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "inspect" -d 'Show what an image claims to be and how far that holds; always exits with 0 if the image can be read'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "verify" -d 'Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "digest" -d 'Compute an image\'s digest: what `seal` signs and a host verifies'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "diff" -d 'Compare two images by path: content, type, mode, owner, time, links and attributes'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "mount" -d 'Mount an image of the store, read-only; `umount DIR` ends that. Needs root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "rm" -d 'Let images go: their tags are removed, and `cfs-host prune` frees what nothing else needs'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "share" -d 'Show images of the store to podman, without a copy. Needs root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "unshare" -d 'Hide images from podman again; the store keeps them'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "shared" -d 'List what podman sees of the store, in which form and why'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and not __fish_seen_subcommand_from pull list inspect verify digest diff mount rm share unshare shared help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l name -d 'podman\'s name for it; else that of the reference' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l user -d 'Whose podman: this user\'s, who runs podman without root; else root\'s' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l to -d 'Where images are shown, in memory: the additional image store that podman\'s storage.conf names, by default /run/cfs-host/containers; with --user the directory that it is made in, by default /run/cfs-host/users/UID' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l progress-fd -d 'Write progress as JSON lines to this file descriptor' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l share -d 'Show it to podman as well, as `image share` does'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Print nothing but errors and the digest'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from list" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from list" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l stored -d 'Look at the image that the store has, fetch nothing'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l keys -d 'Trust this key directory: its policy, beside that of the image\'s own UKI, and its db certificate for UKI and loader' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l policy -d 'Trust this policy file (instead of DIR/policy.json)' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l stored -d 'Look at the image that the store has, fetch nothing'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l bootable -d 'The bootable image\'s digest; else the plain one\'s, which is that of `composefs oci compute-id`'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -l json -d 'Print both as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from digest" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from mount" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from mount" -l bootable -d 'The bootable image, with its labels and empty /boot; else the plain one'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from mount" -l no-verity -d 'Mount it all the same where the file system has no fs-verity: then nothing is checked'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from mount" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from rm" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from rm" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from share" -l name -d 'podman\'s name for it; else that of the reference' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from share" -l user -d 'Whose podman: this user\'s, who runs podman without root; else root\'s' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from share" -l to -d 'Where images are shown, in memory: the additional image store that podman\'s storage.conf names, by default /run/cfs-host/containers; with --user the directory that it is made in, by default /run/cfs-host/users/UID' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from share" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from share" -l json -d 'Print what podman sees as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from share" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from unshare" -l user -d 'Whose podman: this user\'s, who runs podman without root; else root\'s' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from unshare" -l to -d 'Where images are shown, in memory: the additional image store that podman\'s storage.conf names, by default /run/cfs-host/containers; with --user the directory that it is made in, by default /run/cfs-host/users/UID' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from unshare" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from unshare" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from unshare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from shared" -l user -d 'Whose podman: this user\'s, who runs podman without root; else root\'s' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from shared" -l to -d 'Where images are shown, in memory: the additional image store that podman\'s storage.conf names, by default /run/cfs-host/containers; with --user the directory that it is made in, by default /run/cfs-host/users/UID' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from shared" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from shared" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from shared" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Bring an image into the store, without deploying it'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the images that tags, deployments and `image share` keep in the store'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show what an image claims to be and how far that holds; always exits with 0 if the image can be read'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "digest" -d 'Compute an image\'s digest: what `seal` signs and a host verifies'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Compare two images by path: content, type, mode, owner, time, links and attributes'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "mount" -d 'Mount an image of the store, read-only; `umount DIR` ends that. Needs root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Let images go: their tags are removed, and `cfs-host prune` frees what nothing else needs'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "share" -d 'Show images of the store to podman, without a copy. Needs root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "unshare" -d 'Hide images from podman again; the store keeps them'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "shared" -d 'List what podman sees of the store, in which form and why'
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
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand uki; and __fish_seen_subcommand_from build" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
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
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l bound-images -d 'Where the container images are read that the image binds' -r -f -a "pull\t'Where their names say: in a registry'
stored\t'In podman\'s storage on this machine, under the same names: without network'"
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l wipe -d 'Replace an existing file, or destroy all that is on the device'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from to-disk" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from help" -f -a "to-disk" -d 'Make a bootable disk: a new file (raw, or qcow2 by its ending) or a whole block device'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand install; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l format -d 'How to print it' -r -f -a "human\t'For people'
json\t'Every field; under the name bootc its document'
bootc\t'The document that `bootc status --json` prints'"
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l format-version -d 'The version of bootc\'s document' -r -f -a "1\t''"
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l root -d 'Look at another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l json -d 'Print JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -l booted -d 'Leave out the deployments that do not run'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -s v -l verbose -d 'Show more: how long each step of the verified boot took'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l transport -d 'How the image is reached, if the reference does not say so itself' -r -f -a "registry\t''
docker\t''
oci\t''
oci-archive\t''
containers-storage\t''"
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l progress-fd -d 'Write progress as JSON lines to this file descriptor' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l retain -d 'Pin the deployment that runs'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l enforce-container-sigpolicy -d 'Accepted as bootc has it: here a signature is always enforced, by the policy of the UKI that runs'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l apply -d 'Restart into what was staged'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l force -d 'Take an image that failed on this host before, or that was rolled back from'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l quiet -d 'Print nothing but errors'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand switch" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l tag -d 'Follow this tag of the image from now on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l progress-fd -d 'Write progress as JSON lines to this file descriptor' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l authfile -d 'Credentials for the registry, as podman\'s --authfile' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l arch -d 'Which image of a list of several architectures: amd64 or arm64' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l retry -d 'How often a registry that fails for a moment is asked again, at each place where it fails' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l retry-delay -d 'The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l limit -d 'Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l check -d 'Say whether there is one, and what it would take; stage nothing'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l download-only -d 'Stage it, but leave it for a later `--from-downloaded`'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l from-downloaded -d 'Take what `--download-only` left, without asking the registry'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l apply -d 'Restart into what was staged'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l force -d 'Take an image that failed on this host before, or that was rolled back from'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l quiet -d 'Print nothing but errors'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -l insecure-transport -d 'Talk plain HTTP, or accept any certificate of the registry: the image\'s signature is checked all the same'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand rollback" -l to -d 'This deployment (`cfs-host status` lists them)' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand rollback" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand rollback" -l discard-staged -d 'Drop what is staged for the next restart'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand rollback" -l apply -d 'Restart into it'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand rollback" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand pin" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand pin" -l remove -d 'Keep it no longer'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand pin" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand pin" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand prune" -l keep -d 'Good deployments to keep beside the pinned; the two newest always stay' -r
complete -c cfs-host -n "__fish_cfs_host_using_subcommand prune" -l sysroot -d 'Prune the store in DIR/composefs alone: of a disk that does not run here, or of a directory that is no host. Tags and all deployments of DIR keep what they need' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand prune" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand prune" -l dry-run -d 'Show what would go, and remove nothing'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand prune" -l json -d 'Print what was done as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand fsck" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand fsck" -l contents -d 'Read the content of objects too whose digest the kernel measures by fs-verity'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand fsck" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand fsck" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and not __fish_seen_subcommand_from df help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and not __fish_seen_subcommand_from df help" -f -a "df" -d 'Show what deployments, pulled images and podman\'s layers would take apart, and what they take'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and not __fish_seen_subcommand_from df help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and __fish_seen_subcommand_from df" -l sysroot -d 'Use the store in DIR/composefs; the host\'s is in /sysroot/composefs' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and __fish_seen_subcommand_from df" -l json -d 'Print it as JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and __fish_seen_subcommand_from df" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and __fish_seen_subcommand_from help" -f -a "df" -d 'Show what deployments, pulled images and podman\'s layers would take apart, and what they take'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand storage; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and not __fish_seen_subcommand_from diff help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and not __fish_seen_subcommand_from diff help" -f -a "diff" -d 'Show what is changed against the image that runs, and the image\'s versions that wait beside it. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and not __fish_seen_subcommand_from diff help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and __fish_seen_subcommand_from diff" -l root -d 'Look at another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and __fish_seen_subcommand_from diff" -l json -d 'Print JSON'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Show what is changed against the image that runs, and the image\'s versions that wait beside it. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand etc; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "settle" -d 'Early in a boot: what became of the trial'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "health" -d 'Run the health checks; restart if this boot is a trial and they fail'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "promote" -d 'The trial that runs becomes the default'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "give-up" -d 'Restart if this boot is a trial that is not promoted'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "finalize" -d 'At shutdown: the next start tries what is staged'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "share" -d 'Show podman what the host runs, what is staged, and what was published'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and not __fish_seen_subcommand_from settle health promote give-up finalize share help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from settle" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from settle" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from health" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from health" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from promote" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from promote" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from give-up" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from give-up" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from finalize" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from finalize" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from share" -l root -d 'Work on another root directory' -r -F
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from share" -s h -l help -d 'Print help'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "settle" -d 'Early in a boot: what became of the trial'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "health" -d 'Run the health checks; restart if this boot is a trial and they fail'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "promote" -d 'The trial that runs becomes the default'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "give-up" -d 'Restart if this boot is a trial that is not promoted'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "finalize" -d 'At shutdown: the next start tries what is staged'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "share" -d 'Show podman what the host runs, what is staged, and what was published'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand internals; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "keys" -d 'Make signing keys'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "seal" -d 'Seal an image: build and sign its UKI, sign the image, add both to it'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "sign" -d 'Sign an image that holds its UKI: anew, or with one more signature for policies that want several'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "image" -d 'Pull, list, look at, compare and mount images, and show them to podman'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "uki" -d 'Build UKI files, look at them'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "install" -d 'Install an image'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "status" -d 'Show what runs, what boots next, what failed and why, and who signed it. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "switch" -d 'Follow another image: fetch it, verify it, and stage it for the next boot'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "upgrade" -d 'Fetch a newer version of the image that this host follows, and stage it for the next boot'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "rollback" -d 'Boot an earlier deployment by default: the one that was the default before, or the one that is named'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "pin" -d 'Keep a deployment, whatever `prune` and updates would do'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "prune" -d 'Remove deployments that are not needed, and what only they used'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "fsck" -d 'Check the store and what deployments need of it: every object, stream, image and name'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "storage" -d 'Show what the store and podman\'s storage take together'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "etc" -d 'What this machine changed in /etc'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "internals" -d 'Steps that the units of cfs-host run'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and not __fish_seen_subcommand_from keys seal sign image uki install status switch upgrade rollback pin prune fsck storage etc internals help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "generate" -d 'Make a key directory: Secure Boot keys and updates, the image signing key, a strict policy (docs/keys.md)'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "pull" -d 'Bring an image into the store, without deploying it'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "list" -d 'List the images that tags, deployments and `image share` keep in the store'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "inspect" -d 'Show what an image claims to be and how far that holds; always exits with 0 if the image can be read'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "verify" -d 'Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "digest" -d 'Compute an image\'s digest: what `seal` signs and a host verifies'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "diff" -d 'Compare two images by path: content, type, mode, owner, time, links and attributes'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "mount" -d 'Mount an image of the store, read-only; `umount DIR` ends that. Needs root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "rm" -d 'Let images go: their tags are removed, and `cfs-host prune` frees what nothing else needs'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "share" -d 'Show images of the store to podman, without a copy. Needs root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "unshare" -d 'Hide images from podman again; the store keeps them'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "shared" -d 'List what podman sees of the store, in which form and why'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from uki" -f -a "build" -d 'Build and sign the UKI that `seal` would put into an image, as a file'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from uki" -f -a "inspect" -d 'Show a UKI\'s identity and policy; fails unless its parts belong together'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from install" -f -a "to-disk" -d 'Make a bootable disk: a new file (raw, or qcow2 by its ending) or a whole block device'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from storage" -f -a "df" -d 'Show what deployments, pulled images and podman\'s layers would take apart, and what they take'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from etc" -f -a "diff" -d 'Show what is changed against the image that runs, and the image\'s versions that wait beside it. Needs no root'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from internals" -f -a "settle" -d 'Early in a boot: what became of the trial'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from internals" -f -a "health" -d 'Run the health checks; restart if this boot is a trial and they fail'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from internals" -f -a "promote" -d 'The trial that runs becomes the default'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from internals" -f -a "give-up" -d 'Restart if this boot is a trial that is not promoted'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from internals" -f -a "finalize" -d 'At shutdown: the next start tries what is staged'
complete -c cfs-host -n "__fish_cfs_host_using_subcommand help; and __fish_seen_subcommand_from internals" -f -a "share" -d 'Show podman what the host runs, what is staged, and what was published'
