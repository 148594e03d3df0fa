"""The subcommands of ``aligncap``, one module each, which ``aligncap.serving.cli`` lists."""
