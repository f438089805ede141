package main

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// versionInfo is what `version --json` prints.
type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	// FIPS140 is whether cryptography runs in FIPS 140-3 mode, and FIPSModule the version of Go's cryptographic module:
	// "latest" when the program was not built with a certain one (GOFIPS140).
	FIPS140    bool   `json:"fips140"`
	FIPSModule string `json:"fipsModule"`
}

func ownVersion() versionInfo {
	return versionInfo{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		FIPS140: fips140.Enabled(), FIPSModule: fips140.Version()}
}

// String is the line for people.
func (v versionInfo) String() string {
	fips := ""
	if v.FIPS140 {
		fips = ", FIPS 140-3 mode with module " + v.FIPSModule
	}
	return fmt.Sprintf("kvs-edge-agent %s (%s, %s/%s%s)", v.Version, v.Go, v.OS, v.Arch, fips)
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(ownVersion())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), ownVersion())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// version is set by the linker from the git tag.
var version = "devel"
