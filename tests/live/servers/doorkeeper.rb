# frozen_string_literal: true

# Ruby on Rails with Devise for users and Doorkeeper as the OAuth 2 server: password grant, rotation, revocation; the
# API behind doorkeeper_authorize!.

require "json"
require "logger"
require "socket"
begin
  require "rails"
  require "active_record/railtie"
  require "action_controller/railtie"
  require "action_mailer/railtie"
  require "devise"
  require "doorkeeper"
  require "puma"
  require "sqlite3"
rescue LoadError => e
  warn e.message
  exit 69 # EX_UNAVAILABLE of sysexits.h
end

ENV["DATABASE_URL"] = "sqlite3:#{File.expand_path('server.sqlite3')}?timeout=30000&pool=32"
LIVES = { "access" => 3600 }

class Server < Rails::Application
  config.root = Dir.pwd
  config.load_defaults 6.1
  config.eager_load = false
  config.secret_key_base = "a server that only tests talk to, on loopback"
  config.hosts.clear
  config.logger = Logger.new($stderr, level: Logger::WARN)
end

Devise.setup do |config|
  require "devise/orm/active_record"
  config.stretches = 1
  config.secret_key = "a server that only tests talk to, on loopback"
end

Doorkeeper.configure do
  orm :active_record
  grant_flows %w[password client_credentials]
  use_refresh_token
  access_token_expires_in 3600
  custom_access_token_expires_in { |_context| LIVES["access"] }
  resource_owner_from_credentials do
    user = User.find_for_database_authentication(email: params[:username])
    user if user&.valid_for_authentication? { user.valid_password?(params[:password]) } && user.active_for_authentication?
  end
end

Server.initialize!

ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define do
  create_table(:users) do |t|
    t.string :email, null: false
    t.string :encrypted_password, null: false
    t.datetime :locked_at
    t.integer :failed_attempts, default: 0, null: false
    t.string :unlock_token
  end
  create_table(:oauth_applications) do |t|
    t.string :name, :uid, :secret, null: false
    t.text :redirect_uri
    t.string :scopes, default: "", null: false
    t.boolean :confidential, default: true, null: false
    t.timestamps null: false
  end
  create_table(:oauth_access_tokens) do |t|
    t.references :resource_owner
    t.references :application, null: false
    t.string :token, null: false
    t.string :refresh_token
    t.integer :expires_in
    t.datetime :revoked_at
    t.datetime :created_at, null: false
    t.string :scopes
    t.string :previous_refresh_token, default: "", null: false
  end
end

class User < ActiveRecord::Base
  devise :database_authenticatable, :lockable, unlock_strategy: :none

  # What a project adds, so that no mail goes out.
  def send_unlock_instructions; end
end

class MeController < ActionController::API
  before_action :doorkeeper_authorize!

  def show
    user = User.find_by(id: doorkeeper_token.resource_owner_id)
    return head(:unauthorized) if user.nil? || user.access_locked?

    render json: { username: user.email }
  end
end

Server.routes.draw do
  use_doorkeeper { skip_controllers :applications, :authorized_applications, :authorizations }
  get "me", to: "me#show"
end

Doorkeeper::Application.create!(
  name: "app under test", uid: "app", secret: "its secret: 100%", redirect_uri: "https://app.example.com/callback"
)

def tokens(username)
  Doorkeeper::AccessToken.where(resource_owner_id: User.find_by!(email: username).id)
end

ORDERS = {
  "create" => ->(email, password) { User.create!(email: email, password: password) },
  "lock" => ->(email) { User.find_by!(email: email).lock_access!(send_instructions: false) },
  "unlock" => ->(email) { User.find_by!(email: email).unlock_access! },
  "delete" => ->(email) { User.find_by!(email: email).destroy! },
  "change_password" => ->(email, password) { User.find_by!(email: email).update!(password: password) },
  "revoke" => ->(email) { tokens(email).each(&:revoke) },
  "lifetimes" => ->(access, _refresh) { LIVES["access"] = access }
}.freeze

# The same protocol as serving.py, on a path of its own.
def control(env)
  ORDERS.fetch(env["PATH_INFO"].delete_prefix("/control/")).call(*JSON.parse(env["rack.input"].read))
  [200, { "Content-Type" => "application/json" }, ["null"]]
rescue StandardError => e
  [500, { "Content-Type" => "text/plain" }, [e.full_message(highlight: false)]]
end

app = ->(env) { env["PATH_INFO"].start_with?("/control/") ? control(env) : Server.call(env) }

server = Puma::Server.new(app, Puma::Events.strings)
port = server.add_tcp_listener("127.0.0.1", 0).addr[1]
thread = server.run
target = ARGV.fetch(0)
url = "http://127.0.0.1:#{port}/"
File.write("#{target}.part", JSON.generate(url: url, control: "#{url}control/"))
File.rename("#{target}.part", target)
# The tests hold the other end of standard input; however they end, it closes.
Thread.new { $stdin.read && exit!(0) }
thread.join
