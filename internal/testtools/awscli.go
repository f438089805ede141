package testtools

// AWSCLI is a shell script that runs Debian's AWS CLI with AWS_ENDPOINT_URL, which that version does not know, and without the name of
// a plane before the host, as later versions do by AWS_DISABLE_HOST_PREFIX_INJECTION: no host is below 127.0.0.1. It needs awscli.
const AWSCLI = `#!/bin/sh
exec /usr/bin/python3 -c 'import sys
import awscli.clidriver
from botocore.config import Config
Config.OPTION_DEFAULTS["inject_host_prefix"] = False
sys.exit(awscli.clidriver.main())' --endpoint-url "$AWS_ENDPOINT_URL" "$@"
`
