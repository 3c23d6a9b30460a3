//! See [`distr_chat`].

fn main() -> std::process::ExitCode {
    distr_chat::cli::main()
}
