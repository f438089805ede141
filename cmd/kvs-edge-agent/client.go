package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// socketFlag names the agent that a command speaks to.
func socketFlag(cmd *cobra.Command, socket *string) {
	cmd.Flags().StringVar(socket, "socket", "", "the agent's socket (default: where the service has it, or $AWS_KVS_EDGE_SOCKET)")
}

// clientOf speaks to the agent behind socket, or else behind the usual one.
func clientOf(socket string) *localapi.Client {
	if socket == "" {
		socket = settings.SocketPath(os.LookupEnv)
	}
	return localapi.NewClient(socket)
}

// ask puts a question to the agent behind socket or, where that is empty, behind that of the service, whose settings
// are usually in the file service.
func ask[T any](socket, service string, question func(*localapi.Client) (T, error)) (T, error) {
	if socket != "" {
		return question(clientOf(socket))
	}
	shell := os.Getenv(settings.EnvSocket)
	unusable := useServiceSettings(service)
	answer, err := question(clientOf(""))
	if errors.Is(err, localapi.ErrNotRunning) {
		if text := shellDiffers(settings.EnvSocket, shell); text != "" {
			unusable = errors.Join(unusable, errors.New(text))
		}
		err = errors.Join(err, unusable)
	}
	return answer, err
}
