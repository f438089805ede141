package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

func newLogLevelCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Show or change the log level of the running agent",
		Long: `Without an argument, print the level. With one (OFF, ALL, FATAL, ERROR, WARN, INFO, DEBUG, TRACE),
change it at once, without a restart. After a restart, or a reload in which that variable
changed, the level is again that of AWS_KVS_EDGE_LOG_LEVEL.`,
		Args: arguments(0, 1, "give one level at most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			level, err := ask(socket, serviceSettings, func(c *localapi.Client) (string, error) {
				if len(args) == 0 {
					return c.LogLevel(cmd.Context())
				}
				return c.SetLogLevel(cmd.Context(), args[0])
			})
			if err != nil {
				code := exitSettings
				if errors.Is(err, localapi.ErrNotRunning) {
					code = exitDown
				}
				return &exitError{code, err}
			}
			fmt.Fprintln(cmd.OutOrStdout(), level)
			return nil
		},
		ValidArgs: []string{"OFF", "ALL", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"},
	}
	socketFlag(cmd, &socket)
	return cmd
}
