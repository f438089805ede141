package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// socketFlag names the agent that a command speaks to.
func socketFlag(cmd *cobra.Command, socket *string) {
	cmd.Flags().StringVar(socket, "socket", "", "the agent's socket (default: $AWS_KVS_EDGE_SOCKET, or where the service has it)")
}

// clientOf speaks to the agent behind socket, or else behind the usual one.
func clientOf(socket string) *status.Client {
	if socket == "" {
		socket = agent.SocketPath(os.LookupEnv)
	}
	return status.NewClient(socket)
}

// ask puts a question to the agent behind socket or, where that is empty, behind the usual one, or
// else to the one whose settings are in the service's file.
func ask[T any](socket, service string, question func(*status.Client) (T, error)) (T, error) {
	answer, err := question(clientOf(socket))
	if socket != "" || !errors.Is(err, status.ErrNotRunning) {
		return answer, err
	}
	// Its socket may be named in the file only, which systemd does not read for us.
	used, unusable := useServiceSettings(service)
	if used {
		return question(clientOf(""))
	}
	return answer, errors.Join(err, unusable)
}
