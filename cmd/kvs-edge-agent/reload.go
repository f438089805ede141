package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func newReloadCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running agent read its settings again",
		Long: `Make the running agent read the file of its --env-file again, and wait until it has applied the changes.
Wrong settings change nothing. The list of settings says which variables take effect at once, and which
after a restart. The secrets of cameras are read again in any case.

Exit code: 0 when the settings were read, 1 when they are refused, 2 when no agent runs.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := ask(socket, serviceSettings, func(c *localapi.Client) (localapi.Reloaded, error) { return c.Reload(cmd.Context()) })
			if err != nil {
				code := exitFailure
				if errors.Is(err, localapi.ErrNotRunning) {
					code = exitDown
				}
				return &exitError{code, err}
			}
			writeReloaded(cmd.OutOrStdout(), done)
			return nil
		},
	}
	socketFlag(cmd, &socket)
	return cmd
}

func writeReloaded(out io.Writer, done localapi.Reloaded) {
	line := func(what string, names []string) {
		if len(names) > 0 {
			fmt.Fprintln(out, what+strings.Join(names, ", "))
		}
	}
	line("in effect now: ", done.Changed)
	line("restarted streams: ", done.Streams)
	line("in effect after `systemctl restart kvs-edge-agent`: ", done.AfterRestart)
	var misspelt []string
	for _, m := range settings.MisspeltNames(done.Unknown) {
		misspelt = append(misspelt, m.String())
	}
	line("unknown variables: ", misspelt)
	if len(done.Changed)+len(done.Streams)+len(done.AfterRestart) == 0 {
		fmt.Fprintln(out, "no setting has changed; the cameras' secrets are read again")
	}
}
