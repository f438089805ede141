package main

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func newStatusCommand() *cobra.Command {
	var socket string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running agent records and uploads, and what is wrong",
		Long: `Show, for each stream, the recorder, the uploader, the backlog and the space used, and a
sentence for everything that wants attention.

Exit code: 0 when healthy, 1 when degraded, 2 when down or when no agent is running.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			snapshot, err := status.NewClient(socket).Status(cmd.Context())
			if err != nil {
				return &exitError{exitDown, err}
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(snapshot)
			} else {
				err = status.WriteTable(cmd.OutOrStdout(), snapshot)
			}
			if err != nil {
				return err
			}
			if code := verdictCodes[snapshot.Verdict]; code != 0 {
				return &exitError{code: code}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&socket, "socket", agent.DefaultSocket(os.LookupEnv), "the agent's socket")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// The exit codes of status, as monitoring plugins expect them.
const (
	exitDegraded = 1
	exitDown     = 2
)

var verdictCodes = map[status.Verdict]int{status.Degraded: exitDegraded, status.Down: exitDown}
